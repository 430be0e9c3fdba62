"""Calls of the API: who may call, how often, and how calls are answered."""
