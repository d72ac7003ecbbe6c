"""How long history stays: old days are dropped whole, and the ledger of their frames is folded into ranges."""
