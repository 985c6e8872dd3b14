"""FranceConnect v2 as a service provider meets it: OpenID Connect with the State's limits.

What is not public, or differs with each habilitation, is said in the README.
"""
