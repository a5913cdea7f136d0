"""The simulated server's state and the engine that carries out its requests."""
