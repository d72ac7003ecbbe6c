"""Language models: each provider through its vendor's SDK, and a router that falls back from one to the next."""
