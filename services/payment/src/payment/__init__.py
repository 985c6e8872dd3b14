"""Payment takes money by every means that the law and the contracts allow.

It knows what is owed from `invoice.published` and `invoice.withdrawn`, opens attempts with the
providers, hears their notices, asks them where notices are lost or prove nothing, and says
`payment.captured` and `payment.reversed`. One attempt at a time for each invoice; whatever the
provider took is booked, late or twice.
"""
