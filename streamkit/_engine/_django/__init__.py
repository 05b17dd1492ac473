"""The part of the engine that knows Django: what it keeps by thread, and how its handlers read a response.

asgiref, on which Django's async side stands, is reached through the names that Django imports from it, so that
streamkit depends on no version of its own.
"""
