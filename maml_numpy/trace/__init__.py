"""One meta-gradient, operation by operation: what note 11 follows with numbers, as data and as a page that steps."""
