"""Pure thinking about work: graph, keys, plan, scheduler. No network, no engine, no clock."""
