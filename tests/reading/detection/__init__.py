"""A package, so that its conftest and that of its neighbours are two modules."""
