"""Other tools: OpenTelemetry and notebooks."""
