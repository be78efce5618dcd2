"""A carrier's or another system's record of calls, compared with the legs of an account."""
