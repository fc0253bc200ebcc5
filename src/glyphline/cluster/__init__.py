"""Past one machine: reading and training on Ray. Each module is a thin use of the packages below it."""
