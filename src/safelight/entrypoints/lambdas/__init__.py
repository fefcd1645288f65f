"""The functions on AWS. Each turns its event into use cases and its reply; `infra/template.yaml` says what calls which.

    start        opens the archive that all others are in, and hands out their handlers

    api          HTTP API           → the same application as everywhere
    dispatcher   S3: object created → service.dispatch
    worker       SQS: messages      → service.process
    sweeper      every minute       → sweeper.sweep
    notifier     the table's stream → the notices topic

Importing one of them makes nothing. The first call does, once for as long as Lambda keeps the process (`wiring`).
Logs hold what is named in the code and nothing else: no event, no header, no signed URL (`observing`).
"""
