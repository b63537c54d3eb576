"""`evopose compare`: runs beside each other."""
