"""The reference bot: pipelines of LLM agents behind Telegram handlers, each run a trace."""
