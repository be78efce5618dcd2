"""A Service Bus stand-in: AMQP 1.0 on loopback, durable in SQLite, for the real SDKs."""
