"""Tools of the pipeline and of operators; never deployed."""

import local  # noqa: F401 - it names a missing Python or package
