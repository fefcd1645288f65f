"""Every error that Safelight raises on purpose.

    SafelightError
    ├── RequestError                   the caller can mend it; becomes a 4xx (or a 503 that asks to come back)
    │   ├── InvalidRequest             invalid_request
    │   ├── ConflictingFields          conflicting_fields
    │   ├── MultipartNeedsSize         multipart_needs_size
    │   ├── NotMultipart               not_multipart
    │   ├── InvalidPart                invalid_part
    │   ├── InvalidPartOrder           invalid_part_order
    │   ├── EntityTooSmall             entity_too_small
    │   ├── PartsMissing               parts_missing
    │   ├── PartsGone                  parts_gone
    │   ├── MissingJobId               missing_job_id
    │   ├── NotAuthenticated           not_authenticated
    │   ├── ScopeMissing               scope_missing
    │   ├── TooManyRequests            too_many_requests
    │   ├── QuotaUsedUp                quota_used_up
    │   ├── IssuerUnavailable          issuer_unavailable
    │   ├── JobNotFound                job_not_found
    │   ├── BatchNotFound              batch_not_found
    │   ├── NotAllowedNow              not_allowed_now
    │   ├── UnknownRecipe              unknown_recipe
    │   ├── RecipeInvalid              recipe_invalid
    │   ├── RecipeNameTaken            recipe_name_taken
    │   ├── TooManyRecipes             too_many_recipes
    │   ├── UnknownOutput              unknown_output
    │   ├── PublicOutputsOff           public_outputs_off
    │   ├── SourceGone                 source_gone
    │   ├── WebhookNotFound            webhook_not_found
    │   ├── DeliveryNotFound           delivery_not_found
    │   ├── TooManyWebhooks            too_many_webhooks
    │   ├── WebhooksOff                webhooks_off
    │   ├── IdempotencyKeyReused       idempotency_key_reused
    │   ├── IdempotencyKeyInUse        idempotency_key_in_use
    │   ├── PreviewsBusy               previews_busy
    │   └── Overloaded                 overloaded
    ├── FileError                      the file is at fault, with proof: the job fails at once
    │   ├── EmptyFile                  empty_file
    │   ├── TooLarge                   too_large
    │   ├── TypeNotAllowed             type_not_allowed
    │   ├── TypeMismatch               type_mismatch
    │   ├── ChecksumMismatch           checksum_mismatch
    │   ├── TooManyPixels              too_many_pixels
    │   ├── TooManyFrames              too_many_frames
    │   ├── TooManyScans               too_many_scans
    │   ├── TooMuchMetadata            too_much_metadata
    │   ├── Truncated                  truncated
    │   ├── Unprocessable              unprocessable
    │   └── AssetUnusable              asset_unusable
    ├── AttemptError                   this attempt failed and nothing proves the file guilty: tried again
    │   ├── RenderTimedOut             render_timed_out
    │   ├── RenderCrashed              render_crashed
    │   ├── OutputTooLarge             output_too_large
    │   ├── RendererUnavailable        renderer_unavailable
    │   ├── StorageUnavailable         storage_unavailable
    │   └── AttemptsUsedUp             attempts_used_up
    ├── OutgoingError                  a request to an address that a caller gave came to nothing: tried again
    │   ├── AddressRefused             address_refused      (when it is registered, too)
    │   ├── HostUnknown                host_unknown         (when it is registered, too)
    │   ├── NotConnected               not_connected
    │   ├── TlsNotTrusted              tls_not_trusted
    │   ├── TimedOut                   timed_out
    │   ├── NotHttp                    not_http
    │   └── NotWelcome                 not_welcome
    ├── ClaimLost                      claim_lost           a newer claim exists; stop and write nothing
    ├── BlobNotFound                   blob_not_found
    ├── BlobExists                     blob_exists
    ├── RecordConflict                 record_conflict
    └── ConfigurationError             configuration        one line for the operator; exit code 3

A class's docstring is its default message: one sentence that a person understands, then what to do next.
Codes are stable; messages are not. HTTP statuses are mapped in one place, `entrypoints/api`.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from safelight.limits import Standing


class SafelightError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        super().__init__(self.message)


# --- the caller's request ---------------------------------------------------------------------------------


class RequestError(SafelightError):
    """The request can not be carried out as it is."""

    code = "request_error"


class InvalidRequest(RequestError):
    """The request is not of the expected form; see the API reference for the fields of this call."""

    code = "invalid_request"


class ConflictingFields(RequestError):
    """Each field of the request is right by itself, and they do not go together; leave one of them out."""

    code = "conflicting_fields"


class MultipartNeedsSize(RequestError):
    """Only a file of more than 16 MB may come in parts; declare its `size`, or send it in one piece."""

    code = "multipart_needs_size"


class NotMultipart(RequestError):
    """This upload was not asked for in parts; send the file to its `uploadUrl`, or ask anew with `multipart: true`."""

    code = "not_multipart"


class InvalidPart(RequestError):
    """A part that was named has not arrived, or has another ETag; GET the parts for what has arrived."""

    code = "invalid_part"


class InvalidPartOrder(RequestError):
    """The parts have to be named in the order of their numbers, each once."""

    code = "invalid_part_order"


class EntityTooSmall(RequestError):
    """A part other than the last has less than 5 MiB; send that part again as large as the others."""

    code = "entity_too_small"


class PartsMissing(RequestError):
    """The parts that were named are not the whole file; GET the parts for those that are missing, and send them."""

    code = "parts_missing"


class PartsGone(RequestError):
    """The parts of this upload are not kept any more; GET its parts to begin anew."""

    code = "parts_gone"


class MissingJobId(RequestError):
    """Missing jobId parameter"""

    code = "missing_job_id"


class NotAuthenticated(RequestError):
    """This call needs a key; send it as `Authorization: Bearer …`. The operator of this Safelight hands keys out."""

    code = "not_authenticated"


class ScopeMissing(RequestError):
    """This key does not allow the call; ask the operator for one that does."""

    code = "scope_missing"

    def __init__(self, message: str | None = None, *, scope: str = "") -> None:
        self.scope = scope
        super().__init__(message)


class TooManyRequests(RequestError):
    """More requests came than a caller may make in a minute; go on when the minute is over."""

    code = "too_many_requests"

    def __init__(self, message: str | None = None, *, standing: "Standing | None" = None) -> None:
        self.standing = standing
        super().__init__(message)


class QuotaUsedUp(RequestError):
    """The caller's quota is used up; wait until some of it is free again."""

    code = "quota_used_up"

    def __init__(self, message: str | None = None, *, standing: "Standing | None" = None) -> None:
        self.standing = standing
        super().__init__(message)


class IssuerUnavailable(RequestError):
    """The keys of the tokens' issuer can not be had, so nobody's token can be checked; try again in a moment."""

    code = "issuer_unavailable"


class JobNotFound(RequestError):
    """Job not found"""

    code = "job_not_found"


class BatchNotFound(RequestError):
    """There is no batch of this id, or not any more; look for its jobs with GET /jobs."""

    code = "batch_not_found"


class NotAllowedNow(RequestError):
    """The job's state does not allow this; look at its status first."""

    code = "not_allowed_now"


class UnknownRecipe(RequestError):
    """There is no recipe of that name; GET /recipes lists those there are."""

    code = "unknown_recipe"


class RecipeInvalid(RequestError):
    """The recipe is not valid."""

    code = "recipe_invalid"

    def __init__(self, message: str | None = None, *, path: str = "") -> None:
        self.path = path
        super().__init__(f"{path}: {message}" if path and message else message)


class UnknownOutput(RequestError):
    """The recipe has no output of that name; name one that it has, or none for the primary one."""

    code = "unknown_output"


class RecipeNameTaken(RequestError):
    """The operator of this Safelight has a recipe of that name, which nobody else can change; choose another name."""

    code = "recipe_name_taken"


class TooManyRecipes(RequestError):
    """You have 100 recipes with a name already, and more are not kept; delete one of them first."""

    code = "too_many_recipes"


class SourceGone(RequestError):
    """The original of this job is no longer kept; upload the file again."""

    code = "source_gone"


class WebhookNotFound(RequestError):
    """There is no webhook of that id; GET /webhooks lists those there are."""

    code = "webhook_not_found"


class DeliveryNotFound(RequestError):
    """There is no delivery of that id, or not any more; GET /webhooks/{webhookId}/deliveries lists those there are."""

    code = "delivery_not_found"


class TooManyWebhooks(RequestError):
    """A caller may have so many webhooks and no more; delete one first."""

    code = "too_many_webhooks"


class PublicOutputsOff(RequestError):
    """The recipe has a public output, and this Safelight gives nothing to everybody; leave its `delivery` out, and use
    the signed URLs."""

    code = "public_outputs_off"


class WebhooksOff(RequestError):
    """Webhooks are turned off here; look at the job instead, or listen to its events."""

    code = "webhooks_off"


class IdempotencyKeyReused(RequestError):
    """This Idempotency-Key was used before with another request; use a new key for a new request."""

    code = "idempotency_key_reused"


class IdempotencyKeyInUse(RequestError):
    """A request with this Idempotency-Key is still being answered; repeat it in a moment."""

    code = "idempotency_key_in_use"


class PreviewsBusy(RequestError):
    """As many previews as are drawn at a time are being drawn; try again in a second."""

    code = "previews_busy"


class Overloaded(RequestError):
    """More work is waiting than can be finished in time; try again in a minute."""

    code = "overloaded"


# --- the file ---------------------------------------------------------------------------------------------


class FileError(SafelightError):
    """The file can not be processed."""

    code = "file_error"


class EmptyFile(FileError):
    """The file is empty (0 bytes); upload it again."""

    code = "empty_file"


class TooLarge(FileError):
    """The file is larger than allowed; make it smaller and upload it again."""

    code = "too_large"


class TypeNotAllowed(FileError):
    """The file is not an image of a type that is accepted here; upload a JPEG, PNG, WebP, GIF or AVIF file."""

    code = "type_not_allowed"


class TypeMismatch(FileError):
    """The file's content is of another type than was declared; declare the type that the file really has."""

    code = "type_mismatch"


class ChecksumMismatch(FileError):
    """The file's checksum is not the declared one, so it was damaged on the way or is another file; upload it again."""

    code = "checksum_mismatch"


class TooManyPixels(FileError):
    """The image has more pixels than allowed; make it smaller and upload it again."""

    code = "too_many_pixels"


class TooManyFrames(FileError):
    """The animation has more frames than allowed; shorten it and upload it again."""

    code = "too_many_frames"


class TooManyScans(FileError):
    """The progressive JPEG has more scans than any camera or editor writes; save it again as a baseline JPEG."""

    code = "too_many_scans"


class TooMuchMetadata(FileError):
    """The file carries more metadata than allowed; save it again without metadata."""

    code = "too_much_metadata"


class Truncated(FileError):
    """The file ends before the image does, so a part of it is missing; upload it again."""

    code = "truncated"


class Unprocessable(FileError):
    """The image is damaged and can not be decoded; open it in an editor, save it again and upload that."""

    code = "unprocessable"


class AssetUnusable(FileError):
    """An image or a font of the recipe is damaged; mend it, and render the upload with the mended recipe."""

    code = "asset_unusable"


# --- one attempt ------------------------------------------------------------------------------------------


class AttemptError(SafelightError):
    """Processing failed; it is tried again."""

    code = "attempt_error"


class RenderTimedOut(AttemptError):
    """Processing the image took longer than allowed; a smaller image or a simpler recipe may help."""

    code = "render_timed_out"


class RenderCrashed(AttemptError):
    """Processing the image stopped unexpectedly; a smaller image or a fresh export of it may help."""

    code = "render_crashed"


class OutputTooLarge(AttemptError):
    """The result is larger than allowed; a smaller image or a simpler recipe may help."""

    code = "output_too_large"


class RendererUnavailable(AttemptError):
    """The image processor could not be started; if this goes on, the operator has to look at the logs."""

    code = "renderer_unavailable"


class StorageUnavailable(AttemptError):
    """Storage did not answer; if this goes on, the operator has to look at the logs."""

    code = "storage_unavailable"


class AttemptsUsedUp(AttemptError):
    """Processing was cut off every time it was tried; a smaller image or a fresh export of it may help."""

    code = "attempts_used_up"


# --- requests of ours to addresses of callers ------------------------------------------------------------


class OutgoingError(SafelightError):
    """The request did not succeed."""

    code = "outgoing_error"


class AddressRefused(OutgoingError):
    """The host of the URL is not one of the public internet; give one that is, with https."""

    code = "address_refused"


class HostUnknown(OutgoingError):
    """The host of the URL is not known to the DNS; is it spelled right?"""

    code = "host_unknown"


class NotConnected(OutgoingError):
    """No connection to the host could be made or kept; is it running, and does its firewall let us in?"""

    code = "not_connected"


class TlsNotTrusted(OutgoingError):
    """The host's certificate can not be verified; it has to be valid for the name, and from a known authority."""

    code = "tls_not_trusted"


class TimedOut(OutgoingError):
    """The host did not answer in time; take the request, answer it, and do the work afterwards."""

    code = "timed_out"


class NotHttp(OutgoingError):
    """What the host answered is not HTTP."""

    code = "not_http"


class NotWelcome(OutgoingError):
    """The host answered with a status other than 2xx; redirects are not followed."""

    code = "not_welcome"


# --- between the parts ------------------------------------------------------------------------------------


class ClaimLost(SafelightError):
    """Another worker holds this job now."""

    code = "claim_lost"


class BlobNotFound(SafelightError):
    """There is no such object."""

    code = "blob_not_found"


class BlobExists(SafelightError):
    """An object of this key exists already, and outputs are never replaced."""

    code = "blob_exists"


class RecordConflict(SafelightError):
    """The record was changed by somebody else in the meantime."""

    code = "record_conflict"


class ConfigurationError(SafelightError):
    """The configuration is not usable."""

    code = "configuration"
