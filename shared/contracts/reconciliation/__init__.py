"""Files of call records as others write them, and the outcome of a reconciliation."""
