"""The Dataloop app: the engine behind the platform's model adapter. The only importer of the platform's SDK.

The platform's words are used here: item, subset, artifact, confidence.
"""
