"""RPM packages: headers, payload, signatures, versions."""
