"""PayFiP (ex-TIPI), the DGFiP's payment site: web service, payer's page, notice, form mode.

A merchant asks for an identifier of operation (idOp) over SOAP; the payer pays on the page of that
idOp; an unsigned notice tells the merchant to ask again over SOAP how it ended.
"""
