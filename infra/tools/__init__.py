"""Tools of the pipeline and of operators; never deployed."""
