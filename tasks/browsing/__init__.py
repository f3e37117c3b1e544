"""`emi browse`: the live results store as a page of this machine alone, which writes nothing.

snapshot -> list_state, facets, listing -> the list       clip_record, media -> a clip's page
application: the routes      guard: who may ask      serving: the server
"""
