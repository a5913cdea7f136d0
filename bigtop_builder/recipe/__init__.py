"""From files to frozen, evaluated components: loading with places, overlays, templates, selection."""
