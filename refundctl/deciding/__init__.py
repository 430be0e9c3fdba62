"""A person's decisions: checked against the evidence, then written with conditional writes."""
