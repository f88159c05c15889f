"""Other tools: `otel` for OpenTelemetry, and `notebook` for tables in notebooks."""
