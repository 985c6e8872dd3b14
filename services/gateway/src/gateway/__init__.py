"""The gateway is the public door: portal, accounts, authorities, tokens for billers.

It shows what the events tell, forwards what is asked, and decides nothing about money. It owns the
authorities and says `authority.configured`; of a proved address it says `contact.updated`.
"""
