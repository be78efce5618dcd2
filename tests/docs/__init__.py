"""Reference pages that are generated from the code, and pages whose figures a test computes."""
