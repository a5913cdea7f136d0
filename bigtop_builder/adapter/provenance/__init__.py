"""What a package holds, told in the field's own formats."""
