"""What every Quittance service stands on; it knows no rule of the trade."""
