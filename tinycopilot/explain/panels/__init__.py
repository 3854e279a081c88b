"""The panels of the page: each module returns the data that page.js shows in one of them, as JSON's types."""
