"""Readings of a thermometer, and what can be said of a day of them."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    hour: int
    celsius: float

    @property
    def fahrenheit(self):
        return self.celsius * 9 / 5 + 32


def warmest(readings):
    return max(readings, key=lambda reading: reading.celsius)


def mean(readings):
    return sum(reading.celsius for reading in readings) / len(readings)


def coldest(readings):
