"""The result store that a team shares: results by key, on a plain HTTP server or in a folder."""
