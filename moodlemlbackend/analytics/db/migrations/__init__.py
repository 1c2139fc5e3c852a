"""How an older store becomes one of the present schema."""
