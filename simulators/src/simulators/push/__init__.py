"""A push service as browsers have one (RFC 8030), that looks into what it is handed."""
