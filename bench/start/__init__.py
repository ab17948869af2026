"""From a fresh process to a first mask, and where the time goes."""
