"""HTTP for programs: decisions, outcomes, events, inference, health.

In: a `ServingHost` (from the serving room, built by wiring). Out: one ASGI application.
What programs ask is answered in front of FastAPI, which is there for people; only this floor is asynchronous.

    from geartrain.api.app import create_app
    from geartrain.api.server import serve

    serve(create_app(host), port=8000)
"""
