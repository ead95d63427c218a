"""What the report measures itself, as steps: accuracy, area by module, slacks, this machine's CPU."""
