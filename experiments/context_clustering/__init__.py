"""The question `context_clustering`: when does an object become a subject, by its context?"""
