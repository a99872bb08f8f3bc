"""Ratios in exact numbers, halves rounded away from zero."""

from decimal import Decimal
from fractions import Fraction


def rounded(number, decimals=0):
    """A fraction with so many decimals; a whole number without any."""
    scaled = abs(number) * 10**decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    whole = -whole if number < 0 else whole
    return whole if decimals == 0 else Decimal(whole).scaleb(-decimals)


def ratio(part, whole, decimals=0):
    """A quotient, none without a base."""
    return rounded(Fraction(part, whole), decimals) if whole else None


def percent(part, whole, decimals=0):
    """A share in percent, none without a base."""
    return ratio(100 * part, whole, decimals)


def change(metric, now, then):
    """How a metric changed: in points for rates of bounces, in percent for all others."""
    if now is None or then is None:
        return None
    if metric == "bounce_rate":
        return now - then
    if then == 0:
        return 100 if now else 0
    return rounded((Fraction(now) - Fraction(then)) * 100 / Fraction(then))
