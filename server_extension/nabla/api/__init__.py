"""The REST API: Tornado handlers that check, call a service and answer."""
