"""The pipelines, and what runs them."""
