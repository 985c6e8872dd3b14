"""The `quittance` command of billers and operators, over the public doors and nothing else.

It stands alone: a billing application's machine installs it without the services. The contract it
speaks is docs/billers.md.
"""
