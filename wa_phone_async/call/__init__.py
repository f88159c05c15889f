"""One call, in the order in which it happens: request, token, transport, response, retry."""
