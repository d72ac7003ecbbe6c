"""Dead letters: what one says, how they are read, sent again, exported, and bounded."""
