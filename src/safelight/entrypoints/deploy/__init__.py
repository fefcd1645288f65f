"""Safelight on AWS, from nothing to nothing: the artifact, the stack, and the proof that nothing is left.

material     the template and the requirement files, wherever Safelight was installed from
artifact     pinned wheels and our own code → zips, the same bytes every time
account      whose account and region this is, and the names that a stack has in it
border       what AWS says, in the operator's words
stack        the zip and the template → a change set → a stack
starting     every function started once
adoption     what an earlier stack has left behind → part of the new one
removal      a stack → nothing
remains      what there is of a stack, looked up where it would be, whatever CloudFormation believes
"""
