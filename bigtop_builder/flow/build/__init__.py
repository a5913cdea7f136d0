"""Building components into packages."""
