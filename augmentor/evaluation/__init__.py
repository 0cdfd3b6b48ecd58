"""How good are synthetic rows: metrics with ceiling and floor, and the report."""
