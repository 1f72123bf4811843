"""Who may do what: operators, their roles and scopes."""
