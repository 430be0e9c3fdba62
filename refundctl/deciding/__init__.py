"""A person's decisions: weighed against the evidence, written on the ledger's conditions."""
