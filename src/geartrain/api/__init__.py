"""HTTP for programs: decisions, outcomes, events, inference, health.

In: a `ServingHost` (from the serving room, built by wiring). Out: one ASGI application.
The hot routes are plain ASGI in front of FastAPI; only this floor is asynchronous.

    from geartrain.api.app import create_app
    from geartrain.api.server import serve

    serve(create_app(host), port=8000)
"""
