"""Where Safelight meets the world. Each backend implements the ports; only `bootstrap` picks one."""
